#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
enum Chat {
    #[topic(keep = "latest", text = "token")]
    Said { token: String },
}
