#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
#[serde(tag = "t", content = "c")]
enum Chat {
    Said(String),
}
