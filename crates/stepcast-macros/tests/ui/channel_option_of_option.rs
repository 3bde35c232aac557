#[derive(Channel, Serialize, Deserialize, JsonSchema)]
#[channel("chat")]
enum Chat {
    Said {
        at: Option<Option<u32>>,
    },
}
