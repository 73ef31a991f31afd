using System.Diagnostics;

namespace OnnxLlm.Tests.Support;

/// <summary>A program that runs beside a test, in a folder of its own, until the test ends.</summary>
internal sealed class BackgroundProgram : IDisposable
{
    private readonly Process _process;
    private readonly Task<string> _errors;

    /// <param name="arguments">For the folder that was made for it.</param>
    public BackgroundProgram(string program, Func<string, string[]> arguments)
    {
        Folder = Directory.CreateTempSubdirectory(program).FullName;
        var start = InstalledProgram.Start(program, arguments(Folder));
        start.WorkingDirectory = Folder;
        _process = Process.Start(start)!;
        _errors = _process.StandardError.ReadToEndAsync();
        _ = _process.StandardOutput.ReadToEndAsync();
    }

    public string Folder { get; }

    /// <summary>Asks until the question is answered with yes, or the program has ended, or half a minute has passed.</summary>
    public async Task UntilAsync(Func<Task<bool>> question)
    {
        var waited = Stopwatch.StartNew();
        while (!await AskAsync(question))
        {
            Assert.False(_process.HasExited, $"{_process.StartInfo.FileName} ended: {(_process.HasExited ? await _errors : "")}");
            Assert.True(waited.Elapsed < TimeSpan.FromSeconds(60), $"{_process.StartInfo.FileName} does not get there.");
            await Task.Delay(TimeSpan.FromMilliseconds(100));
        }
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
        Directory.Delete(Folder, recursive: true);
    }

    private static async Task<bool> AskAsync(Func<Task<bool>> question)
    {
        try
        {
            return await question();
        }
        catch (HttpRequestException)
        {
            return false;           // it does not listen yet
        }
    }
}
