import Foundation
import MPI
import Synchronization

/// Catches stop signals, and lets all ranks stop after the same step.
///
/// SIGUSR1 always requests a stop: the launch scripts send it on SIGTERM and SIGINT, because mpirun would kill its
/// ranks on these. A process without a launcher also treats the first SIGINT (Ctrl-C), SIGTERM or SIGHUP as a request
/// to stop; the next SIGINT or SIGTERM ends the process.
public enum StopSignal {
  private static let received = Atomic<Bool>(false)
  /// The signals that request a stop from a process without a launcher.
  private static let stopSignals = [SIGINT, SIGTERM, SIGHUP]

  /// Installs the handlers; from then on these signals do not end the process.
  public static func install() {
    signal(SIGUSR1) { _ in StopSignal.received.store(true, ordering: .relaxed) }
    // The parent process may have blocked the signal, and a child inherits blocked signals.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGUSR1)
    if !hasLauncher { for number in stopSignals { sigaddset(&signals, number) } }
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    guard !hasLauncher else { return }
    for number in stopSignals {
      let previous = signal(number) { _ in StopSignal.takeOnce() }
      // Respect nohup, which ignores SIGHUP. Shells ignore SIGINT for background jobs, but a SIGINT sent to such a job
      // is intended.
      if number == SIGHUP, unsafeBitCast(previous, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) {
        signal(number, SIG_IGN)
      }
    }
  }

  /// Whether mpirun or a batch system started this process and controls its end.
  private static var hasLauncher: Bool {
    let variables = ProcessInfo.processInfo.environment
    return ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"].contains { variables[$0] != nil }
  }

  /// Runs in the signal handler: calls only async-signal-safe functions.
  private static func takeOnce() {
    received.store(true, ordering: .relaxed)
    signal(SIGINT, SIG_DFL)
    signal(SIGTERM, SIG_DFL)
    let line: StaticString = "\nquillan: stopping after this step with a checkpoint; a second signal ends the process\n"
    _ = write(STDERR_FILENO, line.utf8Start, line.utf8CodeUnitCount)
  }

  /// Whether this rank has been asked to stop; never reset.
  public static var isReceived: Bool { received.load(ordering: .relaxed) }

  /// Whether any rank has been asked to stop. Collective.
  public static func isRequested(_ communicator: Communicator) throws(MPIError) -> Bool {
    try communicator.allReduce(Int32(isReceived ? 1 : 0), .maximum) != 0
  }

  /// Thrown on all ranks by work that a stop signal ended early.
  package struct CutShort: Error {}
}
