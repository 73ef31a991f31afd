using OnnxLlm.Training;
using OnnxLlm.Training.Checkpoints;

namespace OnnxLlm.Tests.Training;

public sealed class CheckpointStoreTests : IDisposable
{
    private const int NoSpace = 28;     // ENOSPC

    private readonly string _folder = Directory.CreateTempSubdirectory("checkpoints-").FullName;
    private readonly List<string> _warnings = [];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Save_ThenLatest_GivesBackTheState()
    {
        var state = State(100) with { Skipped = 3, PlannedSteps = 1000, RecentLosses = [2.5, 0.1], NextLossBits = "3F800000" };
        Store().Save(state, Tensors);

        var latest = Store().Latest(_warnings.Add)!;

        Assert.Equal(state.RecentLosses.AsEnumerable(), latest.State.RecentLosses);
        Assert.Equal(state with { RecentLosses = [] }, latest.State with { RecentLosses = [] });
        Assert.Empty(_warnings);
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("state.json")]
    [InlineData("SHA256SUMS")]
    public void Latest_WhenAByteWasFlipped_WarnsAndFallsBack(string file)
    {
        SaveSteps(50, 100);
        var path = Path.Combine(_folder, "step-00000100", file);
        var bytes = File.ReadAllBytes(path);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(path, bytes);

        Assert.Equal(50, Store().Latest(_warnings.Add)!.State.Step);
        Assert.StartsWith("Checkpoint step-00000100 is refused: ", Assert.Single(_warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Latest_WhenTruncated_NamesTheFile()
    {
        SaveSteps(50, 100);
        using (var file = File.OpenWrite(Path.Combine(_folder, "step-00000100", "model.safetensors"))) file.SetLength(10);

        Assert.Equal(50, Store().Latest(_warnings.Add)!.State.Step);
        Assert.Equal("Checkpoint step-00000100 is refused: model.safetensors is truncated or damaged (its SHA-256 differs).", Assert.Single(_warnings));
    }

    [Fact]
    public void Latest_WhenTheSealIsEmpty_IsRefused()
    {
        SaveSteps(50, 100);
        File.WriteAllText(Path.Combine(_folder, "step-00000100", "SHA256SUMS"), "");

        Assert.Equal(50, Store().Latest(_warnings.Add)!.State.Step);
        Assert.StartsWith("Checkpoint step-00000100 is refused: SHA256SUMS does not know ", Assert.Single(_warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Latest_OfALaterVersion_IsOneClearLine()
    {
        Store().Save(State(100), folder => { });
        var path = Path.Combine(_folder, "step-00000100");
        var state = Path.Combine(path, "state.json");
        File.WriteAllText(state, File.ReadAllText(state).Replace("\"step\"", "\"stride\"", StringComparison.Ordinal));
        File.WriteAllText(Path.Combine(path, "SHA256SUMS"), $"{Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(state)))}  state.json\n");

        Assert.StartsWith("Checkpoint step-00000100 is none that this version can read: ", Assert.Throws<TrainingException>(() => Store().Latest(_warnings.Add)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Latest_OfAnEmptyRun_IsNull() => Assert.Null(Store().Latest(_warnings.Add));

    [Fact]
    public void Save_BeyondKeep_LeavesTheLastOnesAndTheBest()
    {
        var store = Store();
        foreach (var (step, loss) in new[] { (10L, 3.0), (20, 1.0), (30, 2.0), (40, 2.5), (50, 2.2) })
            store.Save(State(step) with { ValidationLoss = loss }, Tensors);

        Assert.Equal(["step-00000020", "step-00000040", "step-00000050"], Names());
        Assert.Equal(20, store.Best()!.State.Step);
    }

    [Fact]
    public void Save_OfAStepThatExists_ReplacesIt()
    {
        SaveSteps(50, 100);
        Store().Save(State(100) with { Skipped = 9 }, Tensors);

        Assert.Equal(9, Store().Latest(_warnings.Add)!.State.Skipped);
    }

    [Fact]
    public void Save_OnAFullDisk_IsOneClearLineAndLeavesTheEarlierOne()
    {
        SaveSteps(50);

        var error = Assert.Throws<TrainingException>(() => Store().Save(State(100), _ => throw new IOException("No space left on device", NoSpace)));

        Assert.Equal("The checkpoint of step 100 could not be written: No space left on device. Earlier checkpoints are untouched.", error.Message);
        Assert.Equal(["step-00000050"], Names());
        Assert.Equal(50, Store().Latest(_warnings.Add)!.State.Step);
    }

    /// <summary>Dies before each disk operation in turn, the way a kill does: nothing after it runs, nothing is cleaned up.</summary>
    [Fact]
    public void Save_KilledBeforeAnyOperation_LeavesALoadableLatest()
    {
        var operations = CountOperations();
        Assert.InRange(operations, 8, 40);

        for (var fatal = 0; fatal < operations; fatal++)
        {
            foreach (var name in Directory.GetDirectories(_folder)) Directory.Delete(name, recursive: true);
            SaveSteps(10, 20, 30);
            var left = fatal;
            var doomed = new CheckpointStore(_folder, 2) { BeforeOperation = _ => { if (left-- == 0) throw new KilledException(); } };
            Assert.Throws<KilledException>(() => doomed.Save(State(40), Tensors));

            var survivor = Store();
            survivor.Clean();
            Assert.Contains(survivor.Latest(_warnings.Add)!.State.Step, new long[] { 30, 40 });
            Assert.Empty(_warnings);
            survivor.Save(State(50), Tensors);
            Assert.Equal(50, survivor.Latest(_warnings.Add)!.State.Step);
            Assert.Equal(2, Directory.GetFileSystemEntries(_folder).Length);
        }
    }

    private int CountOperations()
    {
        var count = 0;
        SaveSteps(10, 20, 30);
        new CheckpointStore(_folder, 2) { BeforeOperation = _ => count++ }.Save(State(40), Tensors);
        return count;
    }

    private CheckpointStore Store() => new(_folder, keep: 2);

    private void SaveSteps(params long[] steps)
    {
        foreach (var step in steps) Store().Save(State(step), Tensors);
    }

    private IEnumerable<string?> Names() => Directory.GetFileSystemEntries(_folder).Select(Path.GetFileName).Order();

    private static TrainingState State(long step) => new() { Step = step, ConfigHash = "c0ffee" };

    private static void Tensors(string folder) => File.WriteAllText(Path.Combine(folder, "model.safetensors"), new string('w', 1000));

    private sealed class KilledException : Exception;
}
