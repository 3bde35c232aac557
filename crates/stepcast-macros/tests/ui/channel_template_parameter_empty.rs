#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat:{}")]
enum Chat {
    Said(String),
}
