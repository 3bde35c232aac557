#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat:{chat-room}")]
enum Chat {
    Said(String),
}
