using System.Globalization;
using System.Text.Json;
using OnnxLlm.Runtime;
using OnnxLlm.Training.Configuration;

namespace OnnxLlm.Training.Checkpoints;

/// <summary>A folder <c>checkpoints/step-00000100</c> and the state in it.</summary>
internal sealed record Checkpoint(string Path, TrainingState State);

/// <summary>
/// The checkpoints of one run: published whole, verified by hash before they are loaded, and thinned out to the last few and the best.
/// A process killed at any moment leaves the latest published one loadable.
/// </summary>
internal sealed class CheckpointStore(string folder, int keep)
{
    public const string StateFile = "state.json";

    private const string Prefix = "step-";

    /// <summary>Called before each operation on the disk; a seam for tests that fail or die there.</summary>
    internal Action<string> BeforeOperation { get; init; } = _ => { };

    /// <summary>
    /// Steps between regular checkpoints. Others are written where a run was interrupted; what a rollback goes back to must not depend on that,
    /// so the last regular one is never removed.
    /// </summary>
    public int Every { get; init; } = 1;

    /// <summary>Removes what a killed process left half-written.</summary>
    public void Clean()
    {
        Directory.CreateDirectory(folder);
        foreach (var leftover in Directory.GetDirectories(folder, SealedFolder.TemporaryPrefix + "*")) Directory.Delete(leftover, recursive: true);
    }

    /// <summary>Publishes a checkpoint of <paramref name="state"/>; <paramref name="writeTensors"/> puts its files into the folder it is given.</summary>
    /// <exception cref="TrainingException">The disk is full or fails; earlier checkpoints are untouched.</exception>
    public Checkpoint Save(TrainingState state, Action<string> writeTensors)
    {
        var path = PathOf(state.Step);
        try
        {
            SealedFolder.Publish(path, temporary => Write(temporary, state, writeTensors), BeforeOperation);
            Thin();
            return new Checkpoint(path, state);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ModelRuntimeException)
        {
            var cause = (e.InnerException as IOException ?? e).Message.TrimEnd('.');
            throw new TrainingException($"The checkpoint of step {state.Step} could not be written: {cause}. Earlier checkpoints are untouched.", e);
        }
    }

    /// <summary>The newest checkpoint whose files are as they were written; each refused one is reported to <paramref name="warn"/>.</summary>
    public Checkpoint? Latest(Action<string> warn) => Newest(Folders(), warn);

    /// <summary>The newest of the regular ones; see <see cref="Every"/>.</summary>
    public Checkpoint? LatestRegular(Action<string> warn) => Newest(Folders().Where(IsRegular), warn);

    private static Checkpoint? Newest(IEnumerable<string> folders, Action<string> warn)
    {
        foreach (var path in folders.Reverse())
        {
            if (SealedFolder.Defect(path) is not { } defect) return new Checkpoint(path, Known(path));
            warn($"Checkpoint {Path.GetFileName(path)} is refused: {defect}.");
        }
        return null;
    }

    /// <summary>The checkpoint with the lowest validation loss among those kept, if any was validated.</summary>
    public Checkpoint? Best() => Folders().Select(Readable).OfType<Checkpoint>().Where(c => c.State.ValidationLoss is not null).MinBy(c => c.State.ValidationLoss);

    private void Write(string temporary, TrainingState state, Action<string> writeTensors)
    {
        BeforeOperation("tensors");
        writeTensors(temporary);
        BeforeOperation("state");
        File.WriteAllText(Path.Combine(temporary, StateFile), JsonSerializer.Serialize(state, StrictJson.Options));
    }

    /// <summary>Removes all but the last few, the best, and the last regular one.</summary>
    private void Thin()
    {
        var (best, regular) = (Best()?.Path, Folders().LastOrDefault(IsRegular));
        foreach (var path in Folders().SkipLast(keep).Where(path => path != best && path != regular)) SealedFolder.Remove(path, BeforeOperation);
    }

    /// <summary>Published folders, oldest first.</summary>
    private IEnumerable<string> Folders() =>
        Directory.Exists(folder) ? Directory.GetDirectories(folder, Prefix + "*").Order(StringComparer.Ordinal) : [];

    private bool IsRegular(string path) =>
        Every > 0 && long.TryParse(Path.GetFileName(path)[Prefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out var step) && step % Every == 0;

    private string PathOf(long step) => Path.Combine(folder, Prefix + step.ToString("D8", CultureInfo.InvariantCulture));

    /// <summary>A checkpoint that can be read, without verifying its files; null for a damaged one.</summary>
    private static Checkpoint? Readable(string path)
    {
        try
        {
            return new Checkpoint(path, ReadState(path));
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            return null;
        }
    }

    /// <summary>The state of a checkpoint whose files are sound; what another version wrote may still be unknown to this one.</summary>
    private static TrainingState Known(string path)
    {
        try
        {
            return ReadState(path);
        }
        catch (JsonException e)
        {
            throw new TrainingException($"Checkpoint {Path.GetFileName(path)} is none that this version can read: {e.Message}", e);
        }
    }

    private static TrainingState ReadState(string path)
    {
        var state = JsonSerializer.Deserialize<TrainingState>(File.ReadAllText(Path.Combine(path, StateFile)), StrictJson.Options)!;
        return state.Format == TrainingState.CurrentFormat
            ? state
            : throw new TrainingException($"Checkpoint {Path.GetFileName(path)} has format {state.Format}; this version reads format {TrainingState.CurrentFormat}.");
    }
}
