#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
#[serde(rename_all = "camelCase")]
enum Chat {
    Said(String),
}
