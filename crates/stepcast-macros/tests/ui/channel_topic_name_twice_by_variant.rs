#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
enum Chat {
    #[topic(name = "told")]
    Said(String),
    Told(String),
}
