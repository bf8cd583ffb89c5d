//! Out of a recording and into one: what other people's tools get, and what becomes of theirs.

use std::path::{Path, PathBuf};

use simulator::exchange::{Export, ImportFile};
use simulator::recording::Reader;

/// A folder of its own for each test, gone behind it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sensocto-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn with(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn import(file: &Path, output: &Path, rate: Option<f64>) -> Result<(), String> {
    ImportFile {
        file: file.into(),
        output: output.into(),
        format: None,
        rate,
        time: None,
        sensor_id: None,
        start: 1_795_507_200_000,
    }
    .run()
}

fn export(file: &Path, output: &Path) -> Result<(), String> {
    Export {
        file: file.into(),
        output: output.into(),
        format: None,
        sensors: Vec::new(),
        from: None,
        to: None,
    }
    .run()
}

/// From -1 up to 1 and again.
fn wave(n: f64) -> f64 {
    (n * 0.07).rem_euclid(2.0) - 1.0
}

/// A sheet with a wave, a count, a word now and then, and holes.
fn sheet() -> String {
    let mut text = String::from("time,ecg,temperature,note\n");
    for n in 0..1000 {
        let (seconds, ecg) = (f64::from(n) / 100.0, wave(f64::from(n)));
        let note = if n % 400 == 10 { "press, hard" } else { "" };
        let temperature = if n % 100 == 0 { format!("{}", 33 + n / 500) } else { String::new() };
        text.push_str(&format!("{seconds},{ecg:.4},{temperature},\"{note}\"\n"));
    }
    text
}

#[test]
fn a_sheet_goes_in_and_its_rows_come_out() {
    let folder = Folder::new("sheet");
    let (recording, out) = (folder.file("sheet.mcap"), folder.file("out.csv"));
    import(&folder.with("sheet.csv", &sheet()), &recording, None).unwrap();
    let reader = Reader::open(&recording).unwrap();
    assert_eq!(reader.summary().samples, 1000 + 10 + 3);
    assert!(reader.summary().complete);
    export(&recording, &out).unwrap();
    let text = std::fs::read_to_string(&out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "time,sensor_id,attribute_id,field,value,text");
    assert_eq!(lines.len(), 1 + 1013);
    assert_eq!(lines[1], "1795507200000,sheet,ecg,,-1.0,");
    assert_eq!(lines[2], "1795507200000,sheet,temperature,,33.0,");
    assert!(lines.contains(&"1795507200100,sheet,note,,,\"press, hard\""), "{text}");
    let last = format!("1795507209990,sheet,ecg,,{},", (wave(999.0) * 1e4).round() / 1e4);
    assert!(lines.contains(&last.as_str()), "{last}");

    // Our own rows go in again, and come out the same.
    let (again, out_again) = (folder.file("again.mcap"), folder.file("again.csv"));
    import(&out, &again, None).unwrap();
    export(&again, &out_again).unwrap();
    assert_eq!(std::fs::read_to_string(&out_again).unwrap(), text);
}

#[test]
fn edf_comes_back_under_its_own_names_within_half_a_step() {
    let folder = Folder::new("edf");
    let sheet = folder.with("belt.csv", &sheet().replace("time,", "t,"));
    let paths = ["1.mcap", "2.edf", "3.mcap", "4.csv"].map(|name| folder.file(name));
    import(&sheet, &paths[0], None).unwrap();
    export(&paths[0], &paths[1]).unwrap();
    import(&paths[1], &paths[2], None).unwrap();
    export(&paths[2], &paths[3]).unwrap();
    let text = std::fs::read_to_string(&paths[3]).unwrap();
    let mut seen = 0;
    for line in text.lines().filter(|line| line.contains(",belt,ecg,,")) {
        let fields: Vec<&str> = line.split(',').collect();
        let n = (fields[0].parse::<i64>().unwrap() - 1_795_507_200_000) as f64 / 10.0;
        let (expected, value) = (wave(n), fields[4].parse::<f64>().unwrap());
        assert!((value - expected).abs() < 1e-4, "{line} {expected}");
        seen += 1;
    }
    assert_eq!(seen, 1000, "the record is filled to its end, which is that of the file");
    assert!(text.contains("2:annotations,annotation,,,\"belt note: press, hard\""), "{text}");
}

#[test]
fn parquet_has_the_rows_of_the_csv() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    let folder = Folder::new("parquet");
    let (recording, out) = (folder.file("sheet.mcap"), folder.file("out.parquet"));
    import(&folder.with("sheet.csv", &sheet()), &recording, None).unwrap();
    export(&recording, &out).unwrap();
    let file = SerializedFileReader::new(std::fs::File::open(&out).unwrap()).unwrap();
    let rows: Vec<_> = file.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 1013);
    assert_eq!(rows[0].get_timestamp_millis(0).unwrap(), 1_795_507_200_000);
    assert_eq!(rows[0].get_string(1).unwrap(), "sheet");
    assert_eq!(rows[0].get_double(4).unwrap(), -1.0);
    let words = rows.iter().filter(|row| row.get_string(5).is_ok_and(|text| text == "press, hard"));
    assert_eq!(words.count(), 3);
}

#[test]
fn mistakes_are_told_and_leave_no_file() {
    let folder = Folder::new("mistakes");
    let out = folder.file("out.mcap");
    for (text, rate, told) in [
        ("a,b\n1,2\n", None, "no column of time among a, b; name one with --time, or give --rate"),
        ("time,a\nnow,2\n", None, "bad.csv:2: time is \"now\", not a time"),
        ("time,a\n1,2,3\n", None, "bad.csv:2: more fields than the header has names"),
        ("time,a\n", None, "there are no lines below the header"),
        ("a\n1\n", Some(0.0), "--rate 0: from above 0 to 1000 Hz"),
        ("1\n2\n", Some(10.0), "the first line must have the names of the columns"),
        ("time,a\n0,1\n900000000,2\n", None, "the time leaps by more than 24 hours"),
        (
            "time,sensor_id,attribute_id,field,value,text\nx,s,a,,1,\n",
            None,
            "time is \"x\", not unix",
        ),
        (
            "time,sensor_id,attribute_id,field,value,text\n1,s,a,,one,\n",
            None,
            "bad.csv:2: value is \"one\", not a finite number",
        ),
    ] {
        let error = import(&folder.with("bad.csv", text), &out, rate).unwrap_err();
        assert!(error.contains(told), "{error}");
        assert!(!out.exists(), "{error}");
    }
    let text = folder.with("a.txt", "hello");
    assert!(import(&text, &out, None).unwrap_err().contains("say what it is with --format"));
    let fake = folder.with("fake.edf", "hello");
    assert!(import(&fake, &out, None).unwrap_err().contains("shorter than the header"));
    let foreign = folder.with("foreign.mcap", "hello");
    assert!(export(&foreign, &folder.file("o.csv")).is_err());
    assert!(!folder.file("o.csv").exists());
    let error = import(&folder.with("ok.csv", "time,a\n0,1\n"), &foreign, None).unwrap_err();
    assert!(error.contains("cannot create"), "{error}");
    assert_eq!(std::fs::read_to_string(&foreign).unwrap(), "hello", "what was there stays");
}

#[test]
fn a_quote_that_is_never_closed_does_not_gather_the_file() {
    let place = Folder::new("quote");
    let file = place.with("open.csv", &format!("time,a\n1,\"{}", "9,9\n".repeat(1 << 19)));
    let error = import(&file, &place.file("out.mcap"), None).unwrap_err();
    assert!(error.ends_with("more than 1 MiB, perhaps of a quote that is never closed"), "{error}");
    // As many bytes in lines of their own are no trouble.
    let lines: String = (0..1 << 18).map(|n| format!("{n}e-2,9\n")).collect();
    let file = place.with("whole.csv", &format!("time,a\n{lines}"));
    import(&file, &place.file("whole.mcap"), None).unwrap();
}
