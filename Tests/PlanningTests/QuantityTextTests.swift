import Planning
import Testing

@Suite struct QuantityTextTests {
  @Test("Quantities are parsed with their units")
  func quantities() {
    #expect(QuantityText.rate("10Gbit") == 1.25e9 && QuantityText.rate("1.2 GB/s") == 1.2e9)
    #expect(QuantityText.seconds("20us").map { abs($0 - 20e-6) < 1e-18 } == true)
    #expect(QuantityText.seconds("0.5ms") == 0.5 * 1e-3)
    #expect(QuantityText.bytes("64GiB") == 64 << 30 && QuantityText.bytes("2GB") == 2_000_000_000)
    #expect(QuantityText.rate("10") == nil && QuantityText.seconds("-1ms") == nil && QuantityText.bytes("x GiB") == nil)
  }
}
