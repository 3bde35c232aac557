#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
enum Chat {
    Said {
        #[topic(null)]
        text: Option<String>,
    },
}
