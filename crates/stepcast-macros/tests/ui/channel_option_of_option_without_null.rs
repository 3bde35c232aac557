#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
enum Chat {
    Said {
        #[serde(default, with = "double_option")]
        at: Option<Option<u32>>,
    },
}
