#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
enum Chat {
    #[topic(keep = "text", text = "tokens")]
    Said { token: String },
}
