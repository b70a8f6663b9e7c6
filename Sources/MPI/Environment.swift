internal import CMPI
import Glibc
import Synchronization

/// The life of MPI in this process: started once, finished once.
///
/// Started by mpirun, a process is one rank of many; started alone, it is the single rank of its own world.
/// MPI is asked for `MPI_THREAD_MULTIPLE`: Open MPI 4.1 makes no progress in the background, so a program that wants
/// to compute while data travels needs a thread of its own that waits.
public enum Environment {
  private enum State {
    case idle
    case running(Communicator)
    case finished
  }

  private static let state = Mutex(State.idle)

  /// The communicator of all ranks, while MPI runs.
  public static var world: Communicator? {
    state.withLock { state in if case .running(let world) = state { world } else { nil } }
  }

  /// Whether MPI has been started and not yet finished.
  public static var isRunning: Bool {
    var started: Int32 = 0
    var finished: Int32 = 0
    MPI_Initialized(&started)
    MPI_Finalized(&finished)
    return started != 0 && finished == 0
  }

  /// What the MPI library calls itself, for example `Open MPI v4.1.4, ...`; works before the start, too.
  public static var libraryVersion: String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(MPI_MAX_LIBRARY_VERSION_STRING) + 1) { text in
      text.initialize(repeating: 0)
      var length: Int32 = 0
      guard let start = text.baseAddress, MPI_Get_library_version(start, &length) == MPI_SUCCESS else {
        return "unknown"
      }
      return String(cString: start)
    }
  }

  /// Starts MPI, if it does not run yet, and returns the communicator of all ranks. All ranks must call it.
  ///
  /// - Throws: where MPI cannot start, offers too little thread support, or has been finished before. Some failures
  ///   Open MPI 4.1 does not report but ends the process with exit code 1; a line of ours then names the remedy.
  @discardableResult
  public static func initialize() throws(MPIError) -> Communicator {
    try state.withLock { (state) throws(MPIError) in
      switch state {
      case .running(let world): return world
      case .finished:
        throw MPIError(
          call: "MPI_Init_thread", kind: .unavailable, text: "MPI was finished before and cannot start again",
          remedy: "start it once in a process")
      case .idle:
        try start()
        SessionLeftovers.start()
        let world = try Communicator(adopting: cmpi_comm_world(), from: nil)
        try check(MPI_Comm_set_errhandler(cmpi_comm_self(), cmpi_errors_return()), "MPI_Comm_set_errhandler")
        state = .running(world)
        return world
      }
    }
  }

  private static func start() throws(MPIError) {
    if getenv("OMPI_COMM_WORLD_SIZE") == nil {
      // Alone, Open MPI would start its daemon besides, which takes time and fails where openmpi-bin is missing. Its folder
      // of temporary files would be the same for all processes of a user, who would remove it under each other.
      setenv("OMPI_MCA_ess_singleton_isolated", "1", 0)
      setenv("OMPI_MCA_orte_create_session_dirs", "0", 0)
    }
    var provided: Int32 = 0
    if isRunning {
      try check(MPI_Query_thread(&provided), "MPI_Query_thread")
    } else {
      let lastWords = "quillan: MPI could not start; \(MPIError.Kind.unavailable.remedy)\n"
      try check(cmpi_init_watched(&provided, lastWords, lastWords.utf8.count), "MPI_Init_thread")
    }
    guard provided >= MPI_THREAD_MULTIPLE else {
      throw MPIError(
        call: "MPI_Init_thread", kind: .unavailable, text: "this MPI does not let several threads call it",
        remedy: "use an MPI built with MPI_THREAD_MULTIPLE, as Debian's Open MPI is")
    }
  }

  /// Finishes MPI, if it runs. All ranks must call it; requests must have been waited for.
  public static func finalize() throws(MPIError) {
    let mustFinish = state.withLock { state in
      guard case .running = state else { return false }
      state = .finished
      return true
    }
    if mustFinish { try check(MPI_Finalize(), "MPI_Finalize") }
  }
}
