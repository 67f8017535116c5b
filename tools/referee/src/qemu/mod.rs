//! The side that faces QEMU: a plugin as `qemu-plugin.h` defines it, version 4 of the interface (QEMU 9.2 and later).

mod api;
mod callbacks;
mod translate;

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use qemu_plugin_sys as sys;

use crate::claim::Refutation;
use crate::options::{Mode, Options};
use crate::report;
use crate::shadow::Shadow;
use crate::site::Sites;
use crate::symbols::Symbols;
use crate::watch::{Verdict, Watch};

/// QEMU's exit status after a violation.
const VIOLATION_STATUS: c_int = 77;
/// QEMU's exit status after a program was told what is not so.
const FALSE_CLAIM_STATUS: c_int = 78;

/// Which version of the interface this was written for; QEMU looks for it.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static qemu_plugin_version: c_int = sys::QEMU_PLUGIN_VERSION as c_int;

unsafe extern "C" {
    fn _exit(status: c_int) -> !;
}

/// The plugin's state.
struct Plugin {
    options: Options,
    sites: Sites,
    symbols: Mutex<Symbols>,
    watch: Mutex<Watch>,
}

static PLUGIN: OnceLock<Plugin> = OnceLock::new();

/// The one instance.
fn plugin() -> &'static Plugin {
    PLUGIN.get().expect("callbacks come after qemu_plugin_install")
}

impl Plugin {
    fn new(options: Options) -> Result<Self, String> {
        let create = |path: &Path| File::create(path).map_err(|error| format!("{}: {error}", path.display()));
        let trace = options.trace.as_deref().map(create).transpose()?;
        let trace = trace.map(|file| Box::new(BufWriter::new(file)) as Box<dyn Write + Send>);
        let shadow = Shadow::new().map_err(|error| format!("shadow memory: {error}"))?;
        let symbols = Symbols::new(options.elf.as_deref())?;
        let watch = Watch::new(&options, shadow, trace);
        Ok(Plugin {
            options,
            sites: Sites::default(),
            symbols: Mutex::new(symbols),
            watch: Mutex::new(watch),
        })
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        // A panic ends QEMU, so a poisoned lock is never seen.
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lines on stderr, with our name in front of the first.
fn say(text: &str) {
    eprintln!("referee: {}", text.trim_end());
}

/// Ends QEMU at a violation, after telling what it is. `watch` is locked until then, so no other CPU goes on.
fn finish(watch: &mut Watch, cpu: usize, verdict: Verdict) {
    let Err(violation) = verdict else { return };
    watch.flush_trace();
    let symbols = plugin().symbols.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: on the vCPU's thread. A memory callback may see an old X29, or none (QEMU 10.1 and later refuse): the
    // call chain is then another or missing, and nothing else depends on it.
    let frames = report::frames(watch, cpu, unsafe { api::x(29) });
    say(&report::violation(&violation, &symbols, &frames));
    say(&format!("1 violation, found at the last of these events: {}", watch.counts));
    // SAFETY: the process ends at once. `exit` would run QEMU's own handlers, which wait for this very thread.
    unsafe { _exit(VIOLATION_STATUS) }
}

/// Ends QEMU at a claim that does not hold, after telling what it is.
fn finish_claim(watch: &mut Watch, verdict: Result<(), Refutation>) {
    let Err(refutation) = verdict else { return };
    watch.flush_trace();
    say(&refutation);
    // SAFETY: as in `finish`.
    unsafe { _exit(FALSE_CLAIM_STATUS) }
}

/// QEMU made a vCPU.
///
/// # Safety
/// QEMU calls it, on the vCPU's thread.
unsafe extern "C" fn vcpu_made(_: sys::qemu_plugin_id_t, _: c_uint) {
    // SAFETY: this is the callback it wants to be called from.
    unsafe { api::find_registers() }
}

/// QEMU ends: the summary.
///
/// # Safety
/// QEMU calls it.
unsafe extern "C" fn ends(_: sys::qemu_plugin_id_t, _: *mut c_void) {
    let plugin = plugin();
    let mut watch = plugin.watch();
    watch.flush_trace();
    let line = match plugin.options.mode {
        Mode::Check => {
            say(&report::summary(&watch));
            return;
        }
        Mode::Reach => {
            watch.reach.as_ref().map(|reach| reach.report(&plugin.options.label)).unwrap_or_default()
        }
    };
    say(&line);
    if let Some(path) = &plugin.options.report {
        let file = OpenOptions::new().create(true).append(true).open(path);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{line}")) {
            say(&format!("{}: {error}", path.display()));
        }
    }
}

/// QEMU loads the plugin.
///
/// # Safety
/// QEMU calls it, once, with `argc` words in `argv`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: sys::qemu_plugin_id_t,
    info: *const sys::qemu_info_t,
    argc: c_int,
    argv: *mut *mut c_char,
) -> c_int {
    // SAFETY: QEMU's promise: `info` and the words are there during the call.
    let (target, words) = unsafe {
        let words = (0..argc.max(0) as usize)
            .map(|index| CStr::from_ptr(*argv.add(index)).to_string_lossy().into_owned());
        (CStr::from_ptr((*info).target_name).to_string_lossy(), words.collect::<Vec<_>>())
    };
    let made = match &*target {
        "aarch64" => Options::parse(words.iter().map(String::as_str)).and_then(Plugin::new),
        other => Err(format!("the guest is {other}, not aarch64")),
    };
    match made {
        Ok(made) => PLUGIN.get_or_init(|| made),
        Err(error) => {
            say(&error);
            return 1;
        }
    };
    // SAFETY: the callbacks are of the types that the API asks for, and live as long as the process.
    unsafe {
        sys::qemu_plugin_register_vcpu_init_cb(id, Some(vcpu_made));
        sys::qemu_plugin_register_vcpu_tb_trans_cb(id, Some(translate::translated));
        sys::qemu_plugin_register_atexit_cb(id, Some(ends), std::ptr::null_mut());
    }
    0
}
