#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
enum Chat {
    #[topic(keep = "text")]
    Said { token: String },
}
