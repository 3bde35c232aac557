#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
#[serde(untagged)]
enum Chat {
    Said(String),
}
