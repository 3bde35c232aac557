#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat:{room")]
enum Chat {
    Said(String),
}
