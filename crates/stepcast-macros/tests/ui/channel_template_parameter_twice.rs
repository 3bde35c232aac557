#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("{room}:{room}")]
enum Chat {
    Said(String),
}
