using OnnxLlm.Benchmarks.Models;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Runtime;

/// <summary>
/// Packages of 8-bit weights and an 8-bit cache. Each of their operators gives a row the same bits whatever is beside it, so everything here is equal to the last bit: a key that
/// fell on the other side of a tie would show.
/// </summary>
public sealed class Int8CacheTests
{
    private const int Length = 24;

    private static readonly int[] First = [5, 3, 60, 7, 11, 2, 9], Second = [1, 44, 8], Third = [17, 17, 4, 25, 6, 33, 2, 0, 12, 51, 7];

    /// <summary>Attention that turns inside, with and without positions of its own, and with turning before it.</summary>
    public static TheoryData<string> Names => ["llama-16", "gpt2-tiny", "llama-tiny"];

    [Theory]
    [MemberData(nameof(Names))]
    public void Prefill_InPieces_EqualsInOne(string name)
    {
        using var toy = new Toy(name);
        float[] whole = toy.Session.Prefill(0, Third, 0).ToArray();
        toy.Session.Prefill(1, Third.AsSpan(0, 4), 0);
        toy.Session.Prefill(1, Third.AsSpan(4, 6), 4);
        Assert.Equal(whole, toy.Session.Prefill(1, Third.AsSpan(10), 10).ToArray());
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Decode_RaggedSlots_EqualsEachAlone(string name)
    {
        using var toy = new Toy(name);
        int[][] prompts = [First, Second, Third];
        for (int slot = 0; slot < 3; slot++) toy.Session.Prefill(slot, prompts[slot], 0);
        for (int step = 0; step < 5; step++)
        {
            int[] tokens = [step + 1, 2 * step + 5, 3 * step + 9];
            float[] together = toy.Session.Decode(tokens, [.. prompts.Select(prompt => prompt.Length)]).ToArray();
            prompts = [.. prompts.Zip(tokens, (prompt, token) => (int[])[.. prompt, token])];
            Assert.Equal([.. prompts.SelectMany(toy.Alone)], together);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Slot_MovedSavedAndLoaded_GoesOnAsItWas(string name)
    {
        using var toy = new Toy(name);
        toy.Session.Prefill(2, Third, 0);
        toy.Session.Move(2, 0);
        using SlotSnapshot saved = toy.Session.Save(2, Third.Length);
        toy.Session.Prefill(1, First, 0);
        toy.Session.Load(saved, Third.Length, 1);
        float[] alone = toy.Alone([.. Third, 8]);
        Assert.Equal([.. alone, .. alone], toy.Session.Decode([8, 8], [Third.Length, Third.Length]).ToArray());
        Assert.Equal(64 * toy.Session.BytesPerPosition, saved.Bytes);          // one block
    }

    [Fact]
    public void Cache_OfBytes_TakesAQuarter()
    {
        using var toy = new Toy("llama-16");
        using var package = new TinyPackage(TinyModel.Named("llama-16"));
        using var floats = new GenerationSession(ModelPackage.Open(package.Folder), 4, Length, Toy.Settings);
        Assert.Equal((floats.CacheBytes, floats.BytesPerPosition), (4 * toy.Session.CacheBytes, 4 * toy.Session.BytesPerPosition));
    }

    /// <summary>A session of four slots, and another that serves one sequence at a time.</summary>
    private sealed class Toy : IDisposable
    {
        private readonly TinyPackage _package;
        private readonly GenerationSession _alone;

        public Toy(string name)
        {
            var model = TinyModel.Named(name);
            _package = new TinyPackage(model);
            var random = new Random(1);
            int[] text = [.. Enumerable.Range(0, 8 * model.Config.MaxPositions).Select(_ => random.Next(model.Config.VocabularySize))];
            ModelPackage opened = ModelPackage.Open(QuantizedCopy.Write(_package.Folder, Path.GetDirectoryName(_package.Folder)!, text));
            Session = new GenerationSession(opened, 4, Math.Min(Length, opened.Config.MaxPositions), Settings);
            _alone = new GenerationSession(opened, 1, opened.Config.MaxPositions, Settings);
        }

        public static SessionSettings Settings => new() { Threads = 1, Spinning = false };

        public GenerationSession Session { get; }

        public float[] Alone(int[] tokens) => _alone.Prefill(0, tokens, 0).ToArray();

        public void Dispose()
        {
            Session.Dispose();
            _alone.Dispose();
            _package.Dispose();
        }
    }
}
