#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
enum Chat {
    Said(String),
    #[topic(name = "said")]
    Told(String),
}
