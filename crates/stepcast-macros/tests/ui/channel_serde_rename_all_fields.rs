#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
#[serde(rename_all_fields = "camelCase")]
enum Chat {
    Said(String),
}
