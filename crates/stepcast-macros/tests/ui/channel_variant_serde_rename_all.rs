#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
enum Chat {
    #[serde(rename_all = "camelCase")]
    Said(String),
}
