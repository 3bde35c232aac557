#[derive(Channel, Serialize, Deserialize, JsonSchema)]
enum Chat {
    Said(String),
}
