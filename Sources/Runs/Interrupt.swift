import Foundation
import Synchronization

/// Lets commands that run on one rank end cleanly after Ctrl-C or SIGTERM. A second signal ends the process
/// immediately.
public enum Interrupt {
  private static let received = Atomic<Bool>(false)

  /// Installs the handlers; the first signal no longer ends the process.
  public static func install() {
    // The parent process may have blocked the signals, and a process inherits blocked signals.
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGINT, SIGTERM] {
      signal(number) { number in
        guard Interrupt.received.exchange(true, ordering: .relaxed) else { return }
        signal(number, SIG_DFL)
        raise(number)
      }
      sigaddset(&signals, number)
    }
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  }

  /// Whether a signal arrived since the last `reset`.
  public static var isRequested: Bool { received.load(ordering: .relaxed) }

  /// Forgets a handled signal.
  public static func reset() { received.store(false, ordering: .relaxed) }
}
