//! The queue that processes wait in for a pipe: the scheduler's, or on the host one that spins, so that the
//! blocking paths run there with plain threads.

#[cfg(target_os = "none")]
pub use crate::proc::WaitQueue;

#[cfg(not(target_os = "none"))]
pub use hosted::WaitQueue;

#[cfg(not(target_os = "none"))]
mod hosted {
    use crate::errno::Result;

    /// Has the interface of the scheduler's queue.
    #[derive(Default)]
    pub struct WaitQueue;

    impl WaitQueue {
        /// A queue nobody waits in.
        pub const fn new() -> Self {
            WaitQueue
        }

        /// Calls `ready` until it gives a value.
        ///
        /// # Errors
        /// None here; `EINTR` in the kernel when the process is being killed.
        pub fn wait_until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> Result<T> {
            loop {
                if let Some(value) = ready() {
                    return Ok(value);
                }
                core::hint::spin_loop();
            }
        }

        /// As [`WaitQueue::wait_until`]: nobody is killed here.
        ///
        /// # Errors
        /// None.
        pub fn wait_killable<T>(&self, ready: impl FnMut() -> Option<T>) -> Result<T> {
            self.wait_until(ready)
        }

        /// Makes those who wait look again; they never stopped.
        pub fn wake_all(&self) {}
    }
}
