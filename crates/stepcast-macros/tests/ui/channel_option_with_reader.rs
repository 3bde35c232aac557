#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
enum Chat {
    Said {
        #[serde(with = "seconds")]
        at: Option<Duration>,
    },
}
