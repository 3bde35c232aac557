#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel(name = "chat")]
enum Chat {
    Said(String),
}
