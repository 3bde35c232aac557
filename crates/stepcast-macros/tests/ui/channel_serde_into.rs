#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
#[serde(into = "Other")]
enum Chat {
    Said(String),
}
