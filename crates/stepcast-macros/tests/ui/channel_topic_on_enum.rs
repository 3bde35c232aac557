#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
#[topic(keep = "live")]
enum Chat {
    Said(String),
}
