#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
struct Chat {
    text: String,
}
