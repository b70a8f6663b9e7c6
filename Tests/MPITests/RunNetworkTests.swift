import MPI
import Testing

/// The addresses on which rank 0 listens.
@Suite("The network of a run")
struct RunNetworkTests {
  private static func address(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32) -> UInt32 {
    (a << 24 | b << 16 | c << 8 | d).bigEndian
  }
  private static let mask24 = UInt32(0xffff_ff00).bigEndian
  private static let fast = RunNetwork.Card(name: "eth1", address: address(10, 0, 0, 1), mask: mask24)
  private static let open = RunNetwork.Card(name: "eth0", address: address(203, 0, 113, 5), mask: mask24)
  private static let bridge = RunNetwork.Card(name: "docker0", address: address(172, 17, 0, 1), mask: mask24)
  private static let own = [open, fast, bridge]
  private static let other = [
    RunNetwork.Card(address: address(10, 0, 0, 2), mask: mask24),
    RunNetwork.Card(address: address(172, 17, 0, 1), mask: mask24),
  ]

  private func listening(
    _ machines: [[RunNetwork.Card]], included: String? = nil, route: @escaping (UInt32) -> UInt32? = { _ in nil }
  ) -> [UInt32] {
    RunNetwork.listening(own: Self.own, machines: machines, included: included, route: route)
  }

  @Test(
    "Rank 0 listens in the network that it shares with other machines; addresses that all machines have do not count")
  func shared() {
    #expect(listening([Self.other]) == [Self.fast.address])
    #expect(listening([Self.other, Self.other]) == [Self.fast.address])
    #expect(listening([]) == [])
  }

  @Test("Rank 0 listens on the card that the run was given, by name or as a network")
  func given() {
    #expect(listening([Self.other], included: "eth0") == [Self.open.address])
    #expect(listening([Self.other], included: "10.0.0.0/24") == [Self.fast.address])
    #expect(listening([Self.other], included: "eth9,203.0.113.0/24") == [Self.open.address])
    // A list that matches no card of this machine is ignored.
    #expect(listening([Self.other], included: "ib0") == [Self.fast.address])
    #expect(listening([Self.other], included: "10.0.0.0/99,x/y,/") == [Self.fast.address])
  }

  @Test("For a machine in another network, rank 0 listens on the card from which the system sends")
  func routed() {
    let far = [RunNetwork.Card(address: Self.address(192, 0, 2, 9), mask: Self.mask24)]
    #expect(listening([far]) { _ in Self.open.address } == [Self.open.address])
    #expect(listening([Self.other, far]) { _ in Self.open.address } == [Self.fast.address, Self.open.address])
    // The result never has an address that belongs to no card.
    #expect(listening([far]) { _ in 0 } == [])
  }

  @Test("Rank 0 listens on its own addresses if ranks of another container share the network stack")
  func sameStack() {
    #expect(listening([Self.own]) == Self.own.map(\.address))
  }
}
