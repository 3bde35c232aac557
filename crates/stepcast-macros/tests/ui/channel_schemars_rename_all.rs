#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
#[schemars(rename_all = "snake_case")]
enum Chat {
    Said(String),
}
