#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
enum Chat {
    #[topic(name = "__proto__")]
    Said(String),
}
