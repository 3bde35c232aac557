#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("")]
enum Chat {
    Said(String),
}
