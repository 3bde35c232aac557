#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat:{self}")]
enum Chat {
    Said(String),
}
