#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
#[serde(tag = "type")]
enum Chat {
    Said(String),
}
