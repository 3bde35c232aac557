#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
enum Chat {
    #[topic(keep = "log", keep = "live")]
    Said(String),
}
