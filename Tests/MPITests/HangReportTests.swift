import MPI
import Telemetry
import Testing

/// Which ranks are named when ranks wait for each other. Needs no other ranks.
@Suite("The line about waiting ranks")
struct HangReportTests {
  private static let world: UInt64 = 1
  private static let everyone = StridedRanks(first: 0, stride: 1, count: 6)

  /// A rank that waits in collective `number` of a communicator.
  private func waiting(
    _ rank: Int, _ title: String, in communicator: UInt64 = Self.world, _ members: StridedRanks = Self.everyone,
    number: UInt64 = 7,
    seconds: Double = 20
  ) -> RankState {
    var state = RankState(rank: rank)
    state.step = 41
    state.waiting = RankState.Waiting(
      title: title, seconds: seconds, communicator: communicator, members: members, number: number)
    state.progress = [communicator: number]
    state.isExpired = seconds >= 20
    return state
  }

  private func busy(_ rank: Int, _ phase: String, entered: UInt64 = 6) -> RankState {
    var state = RankState(rank: rank)
    state.step = 41
    state.phase = phase
    state.progress = [Self.world: entered]
    return state
  }

  private func line(
    _ states: [RankState], silent: [Int: Double] = [:], ranks: Int = 6, hearsAll: Bool = true
  ) -> String? {
    let observed = Dictionary(
      uniqueKeysWithValues: states.map {
        ($0.rank, HangReport.Observation(state: $0, silence: silent[$0.rank] ?? 0.2))
      })
    return HangReport(ranks: ranks, observed: observed, hearsAll: hearsAll).line()
  }

  @Test("The line names the waiting rank, its collective and step, and the missing rank with its phase")
  func namesBoth() {
    let states = [0, 1, 2, 3, 4].map { waiting($0, "all-reduce gradients") } + [busy(5, "sampling group 812")]
    #expect(
      line(states) == "rank 0: all-reduce gradients, step 41, has waited 20 s; rank 5 has not arrived, last seen "
        + "sampling group 812")
  }

  @Test("The line is about the rank that waits for the cause, not about one that waits for a waiting rank")
  func followsTheChain() {
    let pair = StridedRanks(first: 4, stride: 1, count: 2)
    let inner = waiting(4, "all-to-all layer 2 forward", in: 9, pair, number: 3)
    let states = [0, 1, 2, 3].map { waiting($0, "all-reduce gradients") } + [inner, busy(5, "sampling group 812")]
    #expect(line(states)?.hasPrefix("rank 4: all-to-all layer 2 forward, step 41, has waited 20 s; rank 5 has") == true)
  }

  @Test("The line says how long a rank has been silent, even if the rank had arrived")
  func namesSilence() {
    let two = StridedRanks(first: 0, stride: 1, count: 2)
    let late = [waiting(0, "barrier", in: Self.world, two), busy(1, "rewards")]
    #expect(
      line(late, silent: [1: 21], ranks: 2)?.hasSuffix("rank 1 has been silent for 21 s, last seen rewards")
        == true)
    let arrived = [waiting(0, "barrier", in: Self.world, two), waiting(1, "barrier", in: Self.world, two)]
    #expect(
      line(arrived, silent: [1: 21], ranks: 2)?
        .hasSuffix("rank 1 has been silent for 21 s, last seen in barrier") == true)
  }

  @Test("A rank that has left a collective early counts as arrived; of ranks in a circle all are named")
  func seesOtherCollectives() {
    let two = StridedRanks(first: 0, stride: 1, count: 2)
    // Rank 1 sent a broadcast's data and waits in the next collective, which rank 0 has not entered.
    var ahead = waiting(1, "all-gather", in: Self.world, two, number: 8, seconds: 3)
    ahead.isExpired = false
    #expect(line([waiting(0, "broadcast", in: Self.world, two), ahead])?.contains("not arrived") == false)
    // Each waits on a communicator on which the other has not arrived.
    var first = waiting(0, "all-reduce", in: 5, two, number: 1)
    first.progress[6] = 0
    var second = waiting(1, "barrier", in: 6, two, number: 1)
    second.progress[5] = 0
    #expect(line([first, second])?.hasSuffix("rank 1 has not arrived, last seen in barrier") == true)
  }

  @Test("There is no line while no rank has waited too long, and ranks out of hearing do not count as missing")
  func isModest() {
    #expect(line([waiting(0, "barrier", seconds: 19), busy(1, "rewards")]) == nil)
    let alone = line([waiting(3, "barrier"), busy(0, "rewards")], silent: [0: 9], hearsAll: false)
    #expect(
      alone?.hasSuffix("step 41, has waited 20 s; rank 0 has been silent for 9 s, last seen rewards") == true)
  }

  @Test("Of many missing ranks the line names four")
  func cutsLongLists() {
    let many = StridedRanks(first: 0, stride: 1, count: 100)
    let states = [waiting(0, "barrier", in: Self.world, many)] + (1..<100).map { busy($0, "rewards") }
    #expect(
      line(states, ranks: 100)?.hasSuffix("rank 4 has not arrived, last seen rewards; 95 more ranks have not arrived")
        == true)
  }

  @Test("The table has a line for each rank")
  func table() {
    let observed = [
      0: HangReport.Observation(state: waiting(0, "barrier"), silence: 0),
      1: HangReport.Observation(state: busy(1, "rewards"), silence: 5),
    ]
    #expect(
      HangReport(ranks: 3, observed: observed, hearsAll: true).table() == [
        "rank 0: in barrier, for 20 s, step 41", "rank 1: rewards, for 5 s, step 41, has been silent for 5 s",
        "rank 2: never heard from",
      ])
  }

  @Test("A frame carries a state unchanged, and other bytes are not a frame")
  func frames() {
    var state = waiting(4, "all-to-all layer 2 forward", in: 9, StridedRanks(first: 4, stride: 2, count: 2), number: 3)
    state.phase = "sampling group 812"
    state.phaseSeconds = 1.5
    state.wantsReport = true
    state.progress = [1: 70, 9: 3, .max: 1]
    let frame = StatusFrame(kind: .end, state: state)
    #expect(frame.bytes.count == StatusFrame.byteCount)
    #expect(StatusFrame(frame.bytes, ranks: 7) == frame)
    #expect(StatusFrame(frame.bytes, ranks: 6) == nil)
    #expect(StatusFrame(Array(frame.bytes.dropLast()), ranks: 7) == nil)
    // Reading any bytes must not trap.
    for fill in [UInt8(0x7f), 0x80, 0xff] {
      #expect(StatusFrame([UInt8](repeating: fill, count: StatusFrame.byteCount), ranks: 7) == nil)
    }
  }

  @Test("Only ranks at equal distances are strided ranks")
  func runs() {
    #expect(StridedRanks([3]).ranks == [3])
    #expect(StridedRanks([1, 3, 5]) == StridedRanks(first: 1, stride: 2, count: 3))
    #expect(StridedRanks([1, 3, 4]) == .none)
    #expect(StridedRanks([3, 1]) == .none)
  }
}
