internal import CMPI
import Glibc
import Synchronization

/// MPI in this process: started once, finalized once.
///
/// A process started by mpirun is one rank of many; a process started alone is the only rank of its world. MPI is asked
/// for `MPI_THREAD_MULTIPLE`: Open MPI 4.1 makes no progress in the background, so a program that computes while data
/// travels needs a thread that waits.
public enum Environment {
  private enum State {
    case idle
    case running(Communicator)
    case finalized
  }

  private static let state = Mutex(State.idle)

  /// The communicator of all ranks, while MPI runs.
  public static var world: Communicator? {
    state.withLock { state in if case .running(let world) = state { world } else { nil } }
  }

  /// Whether MPI has been started and not yet finalized.
  public static var isRunning: Bool {
    var started: Int32 = 0
    var finished: Int32 = 0
    MPI_Initialized(&started)
    MPI_Finalized(&finished)
    return started != 0 && finished == 0
  }

  /// The name and version of the MPI library, for example `Open MPI v4.1.4, ...`; available before the start.
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

  /// Starts MPI unless it is running, and returns the communicator of all ranks. All ranks must call it.
  ///
  /// - Throws: if MPI cannot start, has too little thread support, or has been finalized. Open MPI 4.1 does not report
  ///   some failures but ends the process with exit code 1; then a line on stderr names the remedy.
  @discardableResult
  public static func initialize() throws(MPIError) -> Communicator {
    try state.withLock { (state) throws(MPIError) in
      switch state {
      case .running(let world): return world
      case .finalized:
        throw MPIError(
          call: "MPI_Init_thread", kind: .unavailable, text: "MPI has been finalized and cannot start again",
          remedy: "start MPI once per process")
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
      // Without mpirun, Open MPI would also start its daemon, which takes time and fails if openmpi-bin is missing. Its
      // directory of temporary files would be the same for all processes of a user, and each would remove it while
      // others use it.
      setenv("OMPI_MCA_ess_singleton_isolated", "1", 0)
      setenv("OMPI_MCA_orte_create_session_dirs", "0", 0)
    }
    var provided: Int32 = 0
    if isRunning {
      try check(MPI_Query_thread(&provided), "MPI_Query_thread")
    } else {
      let lastLine = "quillan: MPI could not start; \(MPIError.Kind.unavailable.remedy)\n"
      try check(cmpi_init_watched(&provided, lastLine, lastLine.utf8.count), "MPI_Init_thread")
    }
    guard provided >= MPI_THREAD_MULTIPLE else {
      throw MPIError(
        call: "MPI_Init_thread", kind: .unavailable, text: "this MPI does not let several threads call it",
        remedy: "use an MPI built with MPI_THREAD_MULTIPLE, as Debian's Open MPI is")
    }
  }

  /// Finalizes MPI if it is running. All ranks must call it, after they have waited for all requests.
  public static func finalize() throws(MPIError) {
    let mustFinalize = state.withLock { state in
      guard case .running = state else { return false }
      state = .finalized
      return true
    }
    if mustFinalize { try check(MPI_Finalize(), "MPI_Finalize") }
  }
}
