#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("{org}{room}")]
enum Chat {
    Said(String),
}
