// argo-lua runs a health check or action of deploy/argocd as Argo CD runs them: in the same Lua,
// with the same libraries and no others, and a second to come to an end.
//
//	argo-lua SCRIPT <OBJECT.json >RESULT.json
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "argo-lua:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: argo-lua SCRIPT <OBJECT.json")
	}
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	if err := openLibraries(state); err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(limit)

	object, err := luajson.Decode(state, input)
	if err != nil {
		return fmt.Errorf("the object: %w", err)
	}
	state.SetGlobal("obj", object)
	state.SetGlobal("actionParams", state.NewTable())
	if err := state.DoFile(os.Args[1]); err != nil {
		return err
	}
	result := state.Get(-1)
	if result.Type() != lua.LTTable {
		return fmt.Errorf("%s returned a %s; a table is wanted", os.Args[1], result.Type())
	}
	encoded, err := luajson.Encode(result)
	if err != nil {
		return err
	}
	var before, after any
	if err := json.Unmarshal(input, &before); err != nil {
		return err
	}
	if err := json.Unmarshal(encoded, &after); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(withEmptyMaps(after, before))
}

// openLibraries opens package, base and table. Of os there are date and time, for who requires it;
// it is no global.
func openLibraries(state *lua.LState) error {
	libraries := []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage},
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
	}
	for _, library := range libraries {
		call := lua.P{Fn: state.NewFunction(library.open), NRet: 0, Protect: true}
		if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
			return err
		}
	}
	state.PreloadModule(lua.OsLibName, func(state *lua.LState) int {
		scratch := lua.NewState()
		all := scratch.GetGlobal(lua.OsLibName).(*lua.LTable)
		safe := state.NewTable()
		for _, name := range []string{"date", "time"} {
			state.SetField(safe, name, state.NewFunction(all.RawGetString(name).(*lua.LFunction).GFunction))
		}
		state.Push(safe)
		return 1
	})
	return nil
}

// withEmptyMaps gives back what Lua can't tell apart: an empty table that was a map is one again.
func withEmptyMaps(after, before any) any {
	switch old := before.(type) {
	case map[string]any:
		switch now := after.(type) {
		case map[string]any:
			for key, value := range now {
				now[key] = withEmptyMaps(value, old[key])
			}
		case []any:
			if len(now) == 0 {
				return map[string]any{}
			}
		}
	case []any:
		now, ok := after.([]any)
		for i := 0; ok && i < len(now) && i < len(old); i++ {
			now[i] = withEmptyMaps(now[i], old[i])
		}
	}
	return after
}
