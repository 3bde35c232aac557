#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
#[serde(rename = "C")]
enum Chat {
    Said(String),
}
