#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
enum Chat {
    #[topic(keep = "text", text = "token")]
    Said { index: u32, token: Option<String> },
}
