#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
enum Chat {
    #[topic(keep = "forever")]
    Said(String),
}
