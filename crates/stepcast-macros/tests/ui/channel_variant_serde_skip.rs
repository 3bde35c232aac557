#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
enum Chat {
    #[serde(skip)]
    Said(String),
}
