#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat\n")]
enum Chat {
    Said(String),
}
