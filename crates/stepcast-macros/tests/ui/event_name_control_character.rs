#[derive(Event, Serialize, Deserialize)]
#[event("app\u{0}generate")]
struct Generate { job: String }
