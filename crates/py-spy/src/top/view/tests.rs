//! Tests of what is drawn, on a screen in memory.

use super::super::app::{App, Request};
use super::super::table::{Column, Grouping};
use super::super::testing::Sample;
use super::super::threads::ThreadRow;
use super::{Facts, draw};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

/// An application that has seen a little, and whose threads are known.
fn app() -> (profile::Recording, App) {
    let mut sample = Sample::new(Grouping::default());
    sample.run(&["main:1", "f:10"], 60);
    sample.run(&["main:1", "naïve\u{1b}[31m:20"], 40);
    sample.model.close_window(&sample.recording, 1_000_000_000, 730_000_000);
    let stack = sample.stack(&["main:1", "f:10"]);
    let row = |at: usize, name: &str, active: f64| ThreadRow {
        key: (sample.processes[0], 70 + at as u64),
        pid: 70,
        name: Some(name.to_owned()),
        active,
        gil: active,
        state: "waits",
        waits_for: (at == 1).then(|| "recv on socket\u{7}".to_owned()),
        stack,
    };
    let rows = vec![row(0, "MainThread", 1.0), row(1, "ThreadPoolExecutor-12_34", 0.0)];
    let mut app = App::new(sample.model, Column::default());
    app.refresh(&sample.recording);
    app.set_threads(&sample.recording, rows);
    (sample.recording, app)
}

fn key(app: &mut App, recording: &profile::Recording, code: KeyCode) -> Option<Request> {
    app.event(recording, &Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn screen(app: &mut App, recording: &profile::Recording, width: u16, height: u16) -> TestBackend {
    let facts = Facts { recording, threads: 2, processes: 1, colors: true };
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen");
    terminal.draw(|frame| draw(frame, app, &facts)).expect("drawing");
    terminal.backend().clone()
}

fn lines(backend: &TestBackend) -> Vec<String> {
    let area = *backend.buffer().area();
    let line = |y: u16| -> String {
        let cells = (0..area.width).map(|x| backend.buffer()[(x, y)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..area.height).map(line).collect()
}

#[test]
fn what_people_know() {
    let (recording, mut app) = app();
    let expected = [
        "Collecting samples from 'python app.py' (python v3.13.0)",
        "Total Samples 100",
        "GIL: 100.00%, Active: 100.00%, Threads: 2, Processes: 1",
        "GIL █ 100%                              CPU ▆ 73%",
        "",
        "   %Own   %Total  OwnTime  TotalTime  Function (filename)",
        " 60.00%   60.00%   0.600s     0.600s  f (app.py)",
        " 40.00%   40.00%   0.400s     0.400s  naïve\\x1b[31m (app.py)",
        "  0.00%  100.00%   0.000s      1.00s  main (app.py)",
    ];
    let shown = lines(&screen(&mut app, &recording, 80, 24));
    assert_eq!(shown[..9], expected);
    assert!(shown[23].starts_with("? help") && shown[23].ends_with('…'), "{}", shown[23]);
}

/// In few columns, the shares and what is sorted by; in few lines, the rows.
#[test]
fn little_room() {
    let (recording, mut app) = app();
    let shown = lines(&screen(&mut app, &recording, 40, 10));
    let expected = [
        "'python app.py' (python v3.13.0)",
        "Total Samples 100",
        "GIL: 100%, Active: 100%, Threads: 2",
        "   %Own  OwnTime  Function (filename)",
        " 60.00%   0.600s  f (app.py)",
    ];
    assert_eq!(shown[..5], expected);
    key(&mut app, &recording, KeyCode::Char('2'));
    let shown = lines(&screen(&mut app, &recording, 40, 6));
    assert_eq!(
        shown[1..3],
        ["   %Own   %Total  Function (filename)", "  0.00%  100.00%  main (app.py)"]
    );
    key(&mut app, &recording, KeyCode::Char('t'));
    let shown = lines(&screen(&mut app, &recording, 40, 6));
    assert_eq!(shown[2], "100.00%       70  Mai…read  f (app.py:1…");
}

/// Nothing breaks, however small the screen is and whatever is on it.
#[test]
fn any_size() {
    let views: [&[KeyCode]; 7] = [
        &[],
        &[KeyCode::Enter, KeyCode::Down],
        &[KeyCode::Char('t'), KeyCode::Down],
        &[KeyCode::Char('t'), KeyCode::Enter],
        &[KeyCode::Char('?'), KeyCode::PageDown],
        &[KeyCode::Char('/'), KeyCode::Char('[')],
        &[KeyCode::Char('s'), KeyCode::Char('x')],
    ];
    for keys in views {
        for width in (1..100).step_by(3) {
            for height in 1..30 {
                let (recording, mut app) = app();
                keys.iter().for_each(|code| assert_eq!(key(&mut app, &recording, *code), None));
                let shown = lines(&screen(&mut app, &recording, width, height));
                assert_eq!(shown.len(), usize::from(height));
                assert!(!shown.concat().contains(char::is_control));
            }
        }
    }
}

#[test]
fn colors_can_be_left_out() {
    let (recording, mut app) = app();
    for colors in [false, true] {
        let facts = Facts { recording: &recording, threads: 2, processes: 1, colors };
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a screen");
        terminal.draw(|frame| draw(frame, &mut app, &facts)).expect("drawing");
        let cells = terminal.backend().buffer().content();
        assert_eq!(cells.iter().any(|cell| cell.fg != Color::Reset), colors);
    }
}

/// The end of a long answer is what one sees while typing.
#[test]
fn long_answers() {
    let (recording, mut app) = app();
    app.save_name = format!("/{}/out.svg", "é".repeat(100));
    key(&mut app, &recording, KeyCode::Char('s'));
    let shown = lines(&screen(&mut app, &recording, 50, 10));
    assert!(shown[9].starts_with("save to") && shown[9].ends_with("éé/out.svg"), "{}", shown[9]);
    let request = key(&mut app, &recording, KeyCode::Enter);
    assert_eq!(request, Some(Request::Save(app.save_name.clone().into())));
}

/// The selected row stays selected when others pass it.
#[test]
fn the_selection_follows_its_row() {
    let mut sample = Sample::new(Grouping::default());
    sample.run(&["f:10"], 60);
    sample.run(&["g:20"], 40);
    sample.close(1000);
    let g = sample.key("g (app.py)");
    let grow = sample.stack(&["g:20"]);
    let seen = sample.seen(0, grow);
    let mut app = App::new(sample.model, Column::Own);
    app.refresh(&sample.recording);
    key(&mut app, &sample.recording, KeyCode::Down);
    key(&mut app, &sample.recording, KeyCode::Down);
    assert_eq!(app.rows.selected.map(|at| app.order[at]), Some(g));
    (0..100).for_each(|_| app.model.observe(&[seen]));
    app.model.close_window(&sample.recording, 1_000_000_000, 0);
    app.refresh(&sample.recording);
    assert_eq!((app.rows.selected, app.order[0]), (Some(0), g));
}
