#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
enum Chat<T> {
    Said(T),
}
