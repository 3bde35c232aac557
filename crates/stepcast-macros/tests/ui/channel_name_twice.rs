#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
#[channel("talk")]
enum Chat {
    Said(String),
}
